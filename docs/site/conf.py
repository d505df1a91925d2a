"""The settings of Sphinx for the site; `docs/build.py` runs it on its copy of the pages."""

from __future__ import annotations

from importlib.metadata import version as installed_version

project = "hatch-wazcache"
author = "The hatch-wazcache authors"
copyright = author  # noqa: A001 - Sphinx's name
version = release = installed_version("hatch-wazcache")

extensions = ["myst_parser", "sphinx_copybutton"]
root_doc = "index"
myst_heading_anchors = 6  # the anchors of headings are those of GitHub
nitpicky = True

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_favicon = "_static/icon.svg"
html_show_sphinx = False
html_copy_source = False
# Sphinx would name the searched words in the address of each result, and mark them on the page.
html_theme_options = {
    "source_repository": "https://github.com/hatch-wazcache/hatch-wazcache/",
    "source_branch": "main",
    "source_directory": "docs/",
    "top_of_page_buttons": [],
}
# Copy the commands of a block, not the prompt and not the output.
copybutton_prompt_text = "$ "
copybutton_only_copy_prompt_lines = True
