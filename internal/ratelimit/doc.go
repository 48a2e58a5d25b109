// Package ratelimit limits how often each of many may do something, in bounded memory.
package ratelimit
