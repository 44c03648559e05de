# inspect and restore give the same errors; restore has not asked for a socket yet.
head -c 5000 dev1.nms >f; nestmig inspect f; nestmig inspect --raw vmcb12 f; nestmig restore --qmp no.sock f
