// Package search answers the search over everything that has a page: what one may see of it.
package search
