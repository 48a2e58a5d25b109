// Package nomad holds what a cluster of Nomad needs around CoTrain, embedded: configuration of agents, policies of Nomad, Vault and Consul,
// and the console as a job. "cotrain cluster setup" applies it, and Terraform reads the same files.
//
// Files hold ${name} where a site differs, in the syntax of Terraform's templatefile: text between quotes, JSON elsewhere. Each file
// lists them at its head; JSON has no comments, so those of jwt-*.json and the like are here:
//
//	jwks_url            URL of Nomad's public keys, https://nomad.example:4646/.well-known/jwks.json
//	jwks_ca_pem         authority of its certificate as PEM, "" for what the machine trusts
//	namespaces          list of the namespaces of runs
//	console_namespace   namespace of the console's own job, "cotrain"
//	consul_auth_method  Consul's JWT method for Nomad's workloads, "nomad-workloads"
//	nomad_policies      list of the policies of the console's tokens
//
// Vault's roles know a workload by its subject, which has region, namespace and job, not by its job alone as "nomad setup vault" has it: jobs of
// one name in two namespaces would share an entity, and the newest log-in would decide whose secrets both may read.
package nomad
