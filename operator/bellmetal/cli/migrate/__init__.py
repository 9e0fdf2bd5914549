"""Moving in from MetalLB, and back out: old configuration, what would change, the change-over.

May live here: what reads MetalLB's installation. Only `takeover` and `protect` write, and what they
write can be undone. May not: rules of allocation or configuration, which are the controller's own.
"""
