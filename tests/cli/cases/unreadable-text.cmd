# A text file.
echo "The quick brown fox jumps over the lazy dog." >f; nestmig validate f
