# The profile of a captured tree.
nestmig host --root host
