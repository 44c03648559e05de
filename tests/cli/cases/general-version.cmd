# The version, in the form that scripts cut up.
nestmig --version
