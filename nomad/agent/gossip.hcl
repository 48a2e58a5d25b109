# The servers' gossip key, alone so that the file can have mode 0600.
#
# gossip_key  output of nomad operator gossip keyring generate, the same on all servers

server {
  encrypt = "${gossip_key}"
}
