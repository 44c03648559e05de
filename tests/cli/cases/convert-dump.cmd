# A raw dump to an .nms and to another raw dump.
nestmig convert raw1 one.nms; nestmig validate --host host.json one.nms | sed -n 1,3p; nestmig convert --memory raw1 two/; nestmig diff raw1 two; nestmig convert vmx three/; nestmig diff vmx three; nestmig convert --memory smm four/; nestmig diff smm four
