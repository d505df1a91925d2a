"""What `hatch-wazcache init` changes in a project, and the lines of code that it shows."""
