# An item that does not exist.
nestmig inspect --raw frob raw1
