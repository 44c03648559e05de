# No such directory, and something that is no regular file, which stays what it is.
nestmig host --root host --save missing/h.json; nestmig host --root host --save host; ln -s host.json link; nestmig host --root host --json --save link; readlink link
