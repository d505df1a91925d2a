"""Everything between a project that a front end has read, and its wheel or editable install.

`plan` decides, `entries` looks up and compiles, `build` runs both. `wheel`, `tree` and `editable`
write the result. The front ends read the project and show the lines of the report.
"""
