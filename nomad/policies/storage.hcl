# cotrain-storage: the console may register jobs that mount the host volume of shared storage. Only where storage.volume is set.
#
# storage_volume  name of the host volume; the console's setting storage.volume

host_volume "${storage_volume}" {
  policy = "write"
}
