// Package storetest is the suite that every implementation of the store must pass.
package storetest
