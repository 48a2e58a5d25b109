# Consul for servers and clients, through the agent on the same machine. Nomad's own token comes from the variable CONSUL_HTTP_TOKEN,
# with nomad/consul/nomad-server.hcl or nomad-client.hcl as its policy.
#
# consul_address      HOST:PORT of the Consul agent on the machine
# consul_auth_method  Consul's JWT method for Nomad's workloads, "nomad-workloads"

consul {
  address             = "${consul_address}"
  service_auth_method = "${consul_auth_method}"
  task_auth_method    = "${consul_auth_method}"

  # Nomad registers itself as nomad and nomad-client: NOMAD_ADDR=consul://nomad finds the servers.
  auto_advertise   = true
  server_auto_join = false
  client_auto_join = false

  service_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
  task_identity {
    aud = ["consul.io"]
    ttl = "1h"
  }
}
