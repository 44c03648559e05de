# A raw dump is judged for the host that it describes.
nestmig validate raw1
