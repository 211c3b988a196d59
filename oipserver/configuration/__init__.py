"""A model's configuration in Triton's form: read, checked, written and mapped onto settings; finds no files itself and
knows neither a loaded model nor a wire."""
