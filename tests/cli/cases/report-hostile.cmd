# A file name that would be HTML is text.
cp dev1.qemu "\"><script>x.qemu"; nestmig report -o - -- "\"><script>x.qemu" | grep -E "^<h1>|<script"
