// Package httpapi answers the calls of Nomad's HTTP API that the console makes, with the same paths, shapes, codes and
// texts. Others are not found.
package httpapi
