// Package oidc signs people in at a provider by OpenID Connect: the authorization code flow with PKCE. Who they are here, and
// what they may do, is package auth's.
package oidc
