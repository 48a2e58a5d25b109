package s3

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5" // #nosec G501 -- Content-MD5 is what every S3 checks an upload with
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"golang.org/x/sync/errgroup"

	"github.com/cotrain/cotrain/internal/certfile"
	"github.com/cotrain/cotrain/internal/fault"
)

const (
	dialTimeout = 5 * time.Second
	// tries is how often a request is sent, within the time for the call.
	tries = 3
	// maxObject bounds what is read into memory: eight times what the largest block has before compression.
	maxObject = 64 << 20
	// deletesAtOnce is how many objects are deleted at a time, one a request: not every store deletes several in one.
	deletesAtOnce = 8
)

// Config configures [New].
type Config struct {
	Endpoint   string // http://host:port or https://host
	Region     string // "" to ask the store
	Bucket     string
	Prefix     string // of names in the bucket, without slashes around it; "" for none
	Addressing string // of the bucket: path, host or auto
	CACert     string // PEM files; "" for the system's roots and no client certificate
	ClientCert string
	ClientKey  string
	ServerName string // in the store's certificate, "" for the host of the endpoint
	AccessKey  string // "" for the credentials that the machine has by its role
	SecretKey  string
	Timeout    time.Duration // of a call with its repetitions
}

// Bucket keeps blobs below a prefix of a bucket. It is safe for concurrent use.
type Bucket struct {
	cfg       Config
	core      *minio.Core
	keys      *keys
	transport *http.Transport
}

// keys are static credentials that can be replaced.
type keys struct {
	now atomic.Pointer[credentials.Value]
}

func (k *keys) Retrieve() (credentials.Value, error) { return *k.now.Load(), nil }

func (k *keys) RetrieveWithCredContext(*credentials.CredContext) (credentials.Value, error) {
	return k.Retrieve()
}

// IsExpired has every request look: a look costs nothing.
func (k *keys) IsExpired() bool { return true }

// New returns a client without calling the store; see [Bucket.Check].
func New(cfg Config) (*Bucket, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil {
		return nil, fmt.Errorf("endpoint of S3: %w: %w", fault.ErrInvalid, err)
	}
	files := certfile.Client{CACert: cfg.CACert, Cert: cfg.ClientCert, Key: cfg.ClientKey, ServerName: cfg.ServerName}
	trust, err := files.Config()
	if err != nil {
		return nil, fmt.Errorf("TLS to S3: %w: %w", fault.ErrInvalid, err)
	}
	dialer := &net.Dialer{Timeout: dialTimeout, KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 3}}
	b := &Bucket{cfg: cfg, keys: &keys{}, transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, TLSClientConfig: trust, TLSHandshakeTimeout: dialTimeout,
		IdleConnTimeout: time.Minute, MaxIdleConnsPerHost: deletesAtOnce,
		ResponseHeaderTimeout: cfg.Timeout / 2, // of one try, so that a connection that hangs leaves time for another
	}}
	b.SetKeys(cfg.AccessKey, cfg.SecretKey)
	creds := credentials.New(b.keys)
	if cfg.AccessKey == "" {
		creds = credentials.NewIAM("")
	}
	lookup := map[string]minio.BucketLookupType{"path": minio.BucketLookupPath, "host": minio.BucketLookupDNS}[cfg.Addressing] // else auto
	b.core, err = minio.NewCore(u.Host, &minio.Options{Creds: creds, Secure: u.Scheme == "https", Transport: b.transport, Region: cfg.Region, BucketLookup: lookup, MaxRetries: tries})
	if err != nil {
		return nil, fmt.Errorf("configure the client of S3: %w: %w", fault.ErrInvalid, err)
	}
	return b, nil
}

// SetKeys replaces static credentials.
func (b *Bucket) SetKeys(access, secret string) {
	b.keys.now.Store(&credentials.Value{AccessKeyID: access, SecretAccessKey: secret, SignerType: credentials.SignatureV4})
}

// Close drops idle connections.
func (b *Bucket) Close() error {
	b.transport.CloseIdleConnections()
	return nil
}

// String names the place, for people: s3://bucket/prefix at its endpoint.
func (b *Bucket) String() string {
	return strings.TrimSuffix("s3://"+b.cfg.Bucket+"/"+b.cfg.Prefix, "/") + " at " + b.cfg.Endpoint
}

func (b *Bucket) key(name string) string {
	if b.cfg.Prefix == "" {
		return name
	}
	return b.cfg.Prefix + "/" + name
}

func (b *Bucket) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, b.cfg.Timeout)
}

// checkObject is written and deleted by Check. No run has such a folder.
const checkObject = ".cotrain/check"

// Check lists, writes, reads and deletes, as the console will.
func (b *Bucket) Check(ctx context.Context) error {
	if err := b.Each(ctx, ".cotrain", func(string, int64, time.Time) error { return nil }); err != nil {
		return err
	}
	if err := b.Put(ctx, checkObject, []byte("written by CoTrain at its start")); err != nil {
		return err
	}
	if _, err := b.Get(ctx, checkObject); err != nil {
		return err
	}
	return b.Delete(ctx, checkObject)
}

// Put stores an object whole or not at all, checked by the store with its MD5 and SHA-256.
func (b *Bucket) Put(ctx context.Context, name string, data []byte) error {
	limit, cancel := b.limit(ctx)
	defer cancel()
	md, sha := md5.Sum(data), sha256.Sum256(data) // #nosec G401 -- as above
	_, err := b.core.PutObject(limit, b.cfg.Bucket, b.key(name), bytes.NewReader(data), int64(len(data)),
		base64.StdEncoding.EncodeToString(md[:]), hex.EncodeToString(sha[:]), minio.PutObjectOptions{DisableContentSha256: true}) // no framing: the sum above signs it whole
	return b.classify(ctx, "archive "+name, err)
}

// Get reads an object, or returns [fault.ErrNotFound]. One that arrives short is asked for again, and is never returned.
func (b *Bucket) Get(ctx context.Context, name string) (data []byte, err error) {
	limit, cancel := b.limit(ctx)
	defer cancel()
	for range tries {
		if data, err = b.get(limit, name); err == nil || limit.Err() != nil || answered(err) {
			break
		}
	}
	return data, b.classify(ctx, "archive "+name, err)
}

func (b *Bucket) get(ctx context.Context, name string) ([]byte, error) {
	body, info, _, err := b.core.GetObject(ctx, b.cfg.Bucket, b.key(name), minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // only read
	if info.Size > maxObject {
		return nil, fault.New(fault.ErrDamaged, fmt.Sprintf("The object %s has %d bytes, more than any block of a log.", b.key(name), info.Size), "Nothing but the console should write there.")
	}
	data, err := io.ReadAll(io.LimitReader(body, maxObject))
	if err == nil && info.Size >= 0 && int64(len(data)) != info.Size {
		err = io.ErrUnexpectedEOF
	}
	return data, err
}

// Stat returns the size of an object, or [fault.ErrNotFound]. It lists: the answer to HEAD has no text, and could not be told from that to
// a revoked key.
func (b *Bucket) Stat(ctx context.Context, name string) (int64, error) {
	limit, cancel := b.limit(ctx)
	defer cancel()
	for o := range b.core.ListObjectsIter(limit, b.cfg.Bucket, minio.ListObjectsOptions{Prefix: b.key(name), Recursive: true, MaxKeys: 1}) {
		if o.Err != nil {
			return 0, b.classify(ctx, "archive "+name, o.Err)
		}
		if o.Key == b.key(name) { // the first that begins so
			return o.Size, nil
		}
		break
	}
	if err := limit.Err(); err != nil {
		return 0, b.classify(ctx, "archive "+name, err)
	}
	return 0, fmt.Errorf("archive %s: %w", name, fault.ErrNotFound)
}

// Each calls fn for each object below a folder, "" for all, by name.
func (b *Bucket) Each(ctx context.Context, folder string, fn func(name string, bytes int64, at time.Time) error) error {
	prefix := b.key(folder)
	if prefix != "" {
		prefix = strings.TrimSuffix(prefix, "/") + "/"
	}
	limit, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	waits := time.AfterFunc(b.cfg.Timeout, func() { cancel(context.DeadlineExceeded) }) // for the next page
	defer waits.Stop()
	for o := range b.core.ListObjectsIter(limit, b.cfg.Bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
		waits.Stop()
		if o.Err != nil {
			return b.classify(ctx, "list the archive", cmp.Or(context.Cause(limit), o.Err))
		}
		name := o.Key
		if b.cfg.Prefix != "" {
			name = strings.TrimPrefix(name, b.cfg.Prefix+"/")
		}
		if err := fn(name, o.Size, o.LastModified); err != nil {
			return err
		}
		waits.Reset(b.cfg.Timeout)
	}
	return b.classify(ctx, "list the archive", context.Cause(limit)) // the library says nothing of its end
}

// DeleteAll deletes a folder; no error if it is empty.
func (b *Bucket) DeleteAll(ctx context.Context, folder string) error {
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(deletesAtOnce)
	err := b.Each(gctx, folder, func(name string, _ int64, _ time.Time) error {
		g.Go(func() error { return b.Delete(gctx, name) })
		return nil
	})
	if other := g.Wait(); other != nil {
		return other // what the end of Each is due to
	}
	return err
}

// Delete deletes an object; no error if it is not there.
func (b *Bucket) Delete(ctx context.Context, name string) error {
	limit, cancel := b.limit(ctx)
	defer cancel()
	return b.classify(ctx, "delete "+name+" from the archive", b.core.RemoveObject(limit, b.cfg.Bucket, b.key(name), minio.RemoveObjectOptions{}))
}
