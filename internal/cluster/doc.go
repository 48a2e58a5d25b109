// Package cluster sets up what CoTrain needs in Nomad, Vault and Consul, and checks that it is there: every right by using it, and nodes by
// what jobs will ask of them. What is written is in package nomad at the top of the repository.
package cluster
