# No tree, and no captured one.
nestmig host --root missing; mkdir d; nestmig host --root d; nestmig host --json --root d
