# A directory that is no raw dump.
mkdir d; nestmig validate d
