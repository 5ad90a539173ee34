"""One reader a format; `listen2lab.device.formats.detect.FORMATS` lists them."""
