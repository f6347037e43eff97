package cluster

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strconv"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/status"
)

const (
	// maxMessage is the limit of one gRPC message. The library packs up to a
	// batch of messages into one, and the stream dies when that is too large.
	maxMessage = 64 << 20
	writeBatch = 128
	// receiveMethod is the one method that nodes need of each other. The others of
	// the service are diagnostics that end the process when they are called.
	receiveMethod = "/remote.Remoting/Receive"
	nodeName      = "kith-node"
)

// newRemoteConfig returns the configuration of the port for other nodes: mutual
// TLS, and nothing but the exchange of messages.
func newRemoteConfig(listen string, tlsConfig *tls.Config) (*remote.Config, error) {
	if listen == "" {
		return remote.Configure("127.0.0.1", 0), nil // never started
	}
	host, portText, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("listen address: %w", err)
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("listen address %q: %w", listen, err)
	}
	return remote.Configure(host, int(port),
		remote.WithEndpointWriterBatchSize(writeBatch),
		remote.WithServerOptions(
			grpc.Creds(credentials.NewTLS(tlsConfig)),
			grpc.MaxRecvMsgSize(maxMessage),
			grpc.UnaryInterceptor(rejectUnary),
			grpc.StreamInterceptor(rejectStreams),
		),
		remote.WithDialOptions(
			grpc.WithTransportCredentials(credentials.NewTLS(tlsConfig)),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessage)),
		),
	), nil
}

func rejectUnary(ctx context.Context, request any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if info.FullMethod != receiveMethod {
		return nil, status.Errorf(codes.PermissionDenied, "%s is not served", info.FullMethod)
	}
	return next(ctx, request)
}

func rejectStreams(server any, stream grpc.ServerStream, info *grpc.StreamServerInfo, next grpc.StreamHandler) error {
	if info.FullMethod != receiveMethod {
		return status.Errorf(codes.PermissionDenied, "%s is not served", info.FullMethod)
	}
	return next(server, stream)
}

// newEphemeralTLS makes an authority, a certificate of it, and forgets the
// authority's key: nobody outside this process can ever show such a certificate.
// The configuration serves and dials.
func newEphemeralTLS() (*tls.Config, error) {
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the authority: %w", err)
	}
	nodeKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of the node: %w", err)
	}
	// No clock is consulted that could be wrong: the certificates live in memory
	// and end with the process.
	authority := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "kith ephemeral authority"},
		NotBefore:             time.Unix(0, 0),
		NotAfter:              time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	authorityDER, err := x509.CreateCertificate(rand.Reader, authority, authority, authorityKey.Public(), authorityKey)
	if err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	if authority, err = x509.ParseCertificate(authorityDER); err != nil {
		return nil, fmt.Errorf("certificate of the authority: %w", err)
	}
	node := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: nodeName},
		DNSNames:     []string{nodeName},
		NotBefore:    authority.NotBefore,
		NotAfter:     authority.NotAfter,
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	nodeDER, err := x509.CreateCertificate(rand.Reader, node, authority, nodeKey.Public(), authorityKey)
	if err != nil {
		return nil, fmt.Errorf("certificate of the node: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(authority)
	return &tls.Config{
		MinVersion:   tls.VersionTLS13,
		Certificates: []tls.Certificate{{Certificate: [][]byte{nodeDER}, PrivateKey: nodeKey}},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    pool,
		RootCAs:      pool,
		ServerName:   nodeName,
	}, nil
}
