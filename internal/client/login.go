package client

import (
	"context"
	"net/http"

	"github.com/cotrain/cotrain/internal/access"
)

const devicePath = "/api/v1/device"

// DeviceInput is what a program says that asks to be signed in.
type DeviceInput struct {
	Name    string         `json:"name" doc:"Name of its machine, which becomes the token's"`
	Scopes  []access.Scope `json:"scopes" nullable:"false" doc:"read, write, all, or rights such as runs.submit"`
	Project string         `json:"project,omitempty" doc:"The only project that the token is to be for"`
}

// DeviceCodes is the answer, after RFC 8628.
type DeviceCodes struct {
	DeviceCode              string `json:"device_code" doc:"With which the program asks whether it is signed in: a secret"`
	UserCode                string `json:"user_code" doc:"What a person enters"`
	VerificationURI         string `json:"verification_uri" doc:"Where; relative to the console's address if it does not know its own"`
	VerificationURIComplete string `json:"verification_uri_complete" doc:"The same with the code"`
	Interval                int    `json:"interval" doc:"How often the program may ask, in seconds"`
	ExpiresIn               int    `json:"expires_in" doc:"How long the codes count, in seconds"`
}

// DeviceQuestion asks whether a program is signed in.
type DeviceQuestion struct {
	DeviceCode string `json:"device_code"`
}

// DeviceAnswer is how far a log-in is. One that was denied, or has ended, is a problem.
type DeviceAnswer struct {
	Interval int       `json:"interval,omitempty" doc:"Nobody has answered: ask again after so many seconds"`
	Token    *NewToken `json:"token,omitempty" doc:"Signed in: the token, which is not shown again"`
}

// BeginDevice asks for a log-in.
func (c *Client) BeginDevice(ctx context.Context, in DeviceInput) (out DeviceCodes, err error) {
	return out, c.send(ctx, http.MethodPost, devicePath, in, &out)
}

// PollDevice asks how far it is.
func (c *Client) PollDevice(ctx context.Context, code string) (out DeviceAnswer, err error) {
	return out, c.send(ctx, http.MethodPost, devicePath+"/token", DeviceQuestion{code}, &out)
}

// RevokeOwnToken revokes the API token that the client sends.
func (c *Client) RevokeOwnToken(ctx context.Context) error {
	return c.send(ctx, http.MethodDelete, "/api/v1/account/token", nil, nil)
}
