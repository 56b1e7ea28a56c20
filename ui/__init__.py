"""The pages: blueprints, templates, browser assets and translations over the pipeline."""
