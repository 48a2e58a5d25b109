// Package cluster is the pages of the cluster.
package cluster
