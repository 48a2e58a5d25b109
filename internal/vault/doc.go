// Package vault reads the console's secrets from Vault, or OpenBao, and follows them: it logs in, keeps its token and leases
// alive, and tells what has changed. It is the only importer of Vault's API.
package vault
