# A tree without kvm: what is not known is left out.
rm -r host/kvm; nestmig host --root host | sed -n 1,12p
