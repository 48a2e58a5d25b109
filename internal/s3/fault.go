package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"

	"github.com/minio/minio-go/v7"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
)

// answered reports whether the store itself said no, or what was read is no block: the same call again would end the same.
func answered(err error) bool {
	var said minio.ErrorResponse
	return errors.As(err, &said) || errors.Is(err, fault.ErrDamaged)
}

// Refused reports whether an error is a definite answer about what is configured: the bucket, the keys or the certificates.
func Refused(err error) bool {
	var r refusedError
	return errors.As(err, &r)
}

// refusedError marks such an answer.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// classify makes err a fault that says what an operator can do; nil stays nil, and what the end of ctx caused is left.
func (b *Bucket) classify(ctx context.Context, doing string, err error) error {
	if err == nil || ctx.Err() != nil || errors.Is(err, fault.ErrDamaged) {
		return err
	}
	var said minio.ErrorResponse
	errors.As(err, &said)
	if said.Code == minio.NoSuchKey { // and no other 404: Versity's gateway says so of an unknown user
		return fmt.Errorf("%s: %w", doing, fault.ErrNotFound)
	}
	what, fix, refused := b.explain(err, said)
	if refused {
		err = refusedError{err}
	}
	return fmt.Errorf("%s: %w", doing, fault.New(fault.ErrArchiveUnavailable, what, fix).Because(err))
}

func (b *Bucket) explain(err error, said minio.ErrorResponse) (what, fix string, refused bool) {
	at := b.cfg.Endpoint
	answer := oneLine(strings.TrimSpace(said.Code + " " + said.Message))
	switch tlsSays, certificate := certfile.Problem(err); {
	case tlsSays != "" && certificate:
		return fmt.Sprintf("The certificate of S3 at %s is not accepted: %s.", at, oneLine(tlsSays)),
			"Check logs.s3_ca_cert (COTRAIN_LOGS_S3_CA_CERT), logs.s3_tls_server_name (COTRAIN_LOGS_S3_TLS_SERVER_NAME), and that the certificate has not expired.", true
	case tlsSays != "":
		return fmt.Sprintf("S3 at %s ended the TLS handshake: %s.", at, oneLine(tlsSays)),
			"Check logs.s3_client_cert (COTRAIN_LOGS_S3_CLIENT_CERT) and logs.s3_client_key (COTRAIN_LOGS_S3_CLIENT_KEY): it may ask for a certificate of its own authority.", true
	case errors.Is(err, fs.ErrNotExist), strings.Contains(err.Error(), "client certificate"):
		return fmt.Sprintf("The client certificate for S3 cannot be read: %s.", oneLine(err.Error())), "Check logs.s3_client_cert (COTRAIN_LOGS_S3_CLIENT_CERT) and logs.s3_client_key (COTRAIN_LOGS_S3_CLIENT_KEY).", true
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return fmt.Sprintf("S3 at %s speaks plain HTTP.", at), "Begin logs.s3_endpoint (COTRAIN_LOGS_S3_ENDPOINT) with http://, or enable TLS there.", true
	case said.Code == minio.NoSuchBucket:
		return fmt.Sprintf("S3 at %s has no bucket %s.", at, b.cfg.Bucket), "Create it, or correct logs.s3_bucket (COTRAIN_LOGS_S3_BUCKET), logs.s3_endpoint or logs.s3_region.", true
	case said.Code == "InvalidAccessKeyId", said.Code == "XAdminUserNotFound": // as Versity's gateway says it
		return fmt.Sprintf("S3 at %s does not know the access key: %s.", at, answer), "Check logs.s3_access_key (COTRAIN_LOGS_S3_ACCESS_KEY): it may have been revoked.", true
	case said.Code == "SignatureDoesNotMatch":
		return fmt.Sprintf("S3 at %s does not accept the secret key: %s.", at, answer), "Check logs.s3_secret_key (COTRAIN_LOGS_S3_SECRET_KEY), and logs.s3_region (COTRAIN_LOGS_S3_REGION).", true
	case said.Code == "RequestTimeTooSkewed":
		return fmt.Sprintf("S3 at %s says that this machine's clock is wrong: %s.", at, answer), "Correct the clock of the console's machine.", false
	case said.Code == "AuthorizationHeaderMalformed", said.Code == "InvalidRegion":
		return fmt.Sprintf("S3 at %s expects another region: %s.", at, answer), "Correct logs.s3_region (COTRAIN_LOGS_S3_REGION).", true
	case said.StatusCode == http.StatusInsufficientStorage, said.Code == "QuotaExceeded", said.Code == "XMinioStorageFull":
		return fmt.Sprintf("S3 at %s is full: %s.", at, answer), "Make room there, or raise the quota of the bucket.", false
	case said.StatusCode == http.StatusForbidden || said.StatusCode == http.StatusUnauthorized:
		return fmt.Sprintf("S3 at %s refuses the console's key: %s.", at, answer),
			"Check logs.s3_access_key and logs.s3_secret_key, and that they may list the bucket, and get, put and delete objects in it.", true
	case said.StatusCode >= http.StatusMultipleChoices:
		return fmt.Sprintf("S3 at %s answers %d: %s.", at, said.StatusCode, answer), "Check that logs.s3_endpoint (COTRAIN_LOGS_S3_ENDPOINT) is an S3-compatible store, and its log.", false
	case b.cfg.AccessKey == "" && said.StatusCode == 0 && !strings.Contains(err.Error(), strings.SplitN(at, "://", 2)[1]): // nobody got as far as the store
		return "This machine has no role from which to take credentials for S3: " + oneLine(cause(err)) + ".", "Set logs.s3_access_key and logs.s3_secret_key (COTRAIN_LOGS_S3_ACCESS_KEY, COTRAIN_LOGS_S3_SECRET_KEY).", true
	}
	return fmt.Sprintf("S3 at %s does not answer: %s.", at, oneLine(cause(err))), "Check logs.s3_endpoint (COTRAIN_LOGS_S3_ENDPOINT), and that it runs.", false
}

// cause is the innermost text that still says what failed.
func cause(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "the time is over"
	}
	text := err.Error()
	if i := strings.Index(text, `": `); i >= 0 { // Put "http://...": dial tcp ...
		text = text[i+3:]
	}
	return text
}

// oneLine is text from outside, short and without control characters.
func oneLine(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(r rune) bool { return r <= ' ' || r == 0x7f }), " ")
	return strings.TrimRight(fault.Clip(s, 300), ".")
}
