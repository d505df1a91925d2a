"""One build: the plan, the jobs, the wheel or the files of an editable install."""
