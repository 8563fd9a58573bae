"""Generic controller machinery: store, reflector, work queue, controller. Knows no custom resource."""
