"""The embedded Kubernetes: a control plane on loopback and, as root, a node whose pods run."""

#: In the order in which they start.
CONTROL_PLANE = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler")
