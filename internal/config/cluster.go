package config

// ClusterSetup is what "cotrain cluster setup" does beside what the console's settings say. The tags define its flags.
type ClusterSetup struct {
	DryRun     bool     `help:"Say what would change, and change nothing."`
	Move       bool     `help:"Rights may go to another namespace of Nomad, or another KV engine, than the console was set up with."`
	Namespaces []string `name:"namespace" placeholder:"NAME" help:"Further namespace of Nomad for runs, which a project has; repeat it. Those that were set up before stay."`
	Bootstrap  string   `placeholder:"FILE" help:"Bootstrap Nomad's ACLs where they are not, and keep the management token in FILE; where they are, use the token in FILE."`

	TokenFile    string `xor:"token" placeholder:"FILE" help:"Make the console's token of Nomad and keep it in FILE, with mode 0600."`
	TokenInVault bool   `xor:"token" help:"Make the console's token of Nomad and keep it in Vault: NOMAD_TOKEN=vault:secret/cotrain#nomad_token."`
	NomadEngine  bool   `xor:"token" help:"Have Vault make the console's tokens of Nomad, with its Nomad engine: NOMAD_TOKEN=vault:nomad/creds/cotrain-console#secret_id."`
	PrintToken   bool   `xor:"token" help:"Make the console's token of Nomad and print it."`

	ServiceJob       bool   `help:"The console runs as a job of Nomad, nomad/cotrain.nomad.hcl, and has its rights by workload identity."`
	ConsoleNamespace string `default:"cotrain" placeholder:"NAME" help:"Namespace of Nomad for that job."`

	KVMount          string `name:"kv-mount" default:"secret" placeholder:"PATH" help:"KV engine of Vault, version 2."`
	JWTMount         string `name:"jwt-mount" default:"jwt-nomad" placeholder:"PATH" help:"Where Vault's log-in for Nomad's workloads is."`
	NomadMount       string `default:"nomad" placeholder:"PATH" help:"Where Vault's Nomad engine is."`
	DatabaseMount    string `default:"database" placeholder:"PATH" help:"Where Vault's database engine is."`
	JWKSURL          string `name:"jwks-url" placeholder:"URL" help:"Nomad's public keys as Vault and Consul reach them; without it /.well-known/jwks.json at nomad.address."`
	JWKSCACert       string `name:"jwks-ca-cert" placeholder:"FILE" help:"Authority of the certificate there; without it nomad.ca_cert."`
	ConsulAuthMethod string `default:"nomad-workloads" placeholder:"NAME" help:"Consul's log-in for Nomad's workloads."`
}

// ClusterCheck is what "cotrain cluster check" looks at beside what the console's settings say. The tags define its flags.
type ClusterCheck struct {
	Namespaces []string `name:"namespace" placeholder:"NAME" help:"Further namespace of Nomad for runs, which a project has; repeat it."`
	KVMount    string   `name:"kv-mount" default:"secret" placeholder:"PATH" help:"KV engine of Vault, version 2."`
	JWTMount   string   `name:"jwt-mount" default:"jwt-nomad" placeholder:"PATH" help:"Where Vault's log-in for Nomad's workloads is."`
}
