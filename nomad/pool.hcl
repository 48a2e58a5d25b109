# A node pool for nodes with GPUs, for nomad node pool apply. "default" and "all" are always there.
#
# node_pool  its name; the console's setting job.node_pool

node_pool "${node_pool}" {
  description = "GPU nodes for training"
}
