def check_patch_size(net, patch_size): pass
