"""The process that runs models: everything here lives in a worker and imports no web framework and no gRPC."""
