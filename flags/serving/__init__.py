"""Make the BentoML service that answers with one side and scores both."""
