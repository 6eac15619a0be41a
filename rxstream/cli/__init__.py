"""``rxstream`` on the command line (``pip install 'rxstream[cli]'``)."""
