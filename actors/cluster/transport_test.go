package cluster_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"kith/actors/cluster"
)

//nolint:paralleltest // a port touches state of the whole process; see Config.Listen
func TestPortForOtherNodes(t *testing.T) {
	n := start(t, func(c *cluster.Config) { c.Listen = "127.0.0.1:0" })
	own := credentials.NewTLS(cluster.TLS(n))

	foreign := selfSigned(t)
	stranger := cluster.TLS(n).Clone()
	// It shows its certificate also where the node says that it wants none such.
	stranger.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &foreign, nil }
	nobody := cluster.TLS(n).Clone()
	nobody.Certificates = nil
	for name, creds := range map[string]credentials.TransportCredentials{
		"a stranger's certificate": credentials.NewTLS(stranger),
		"no certificate":           credentials.NewTLS(nobody),
		"no TLS":                   insecure.NewCredentials(),
	} {
		_, err := connect(t, dial(t, n, creds))
		if status.Code(err) != codes.Unavailable {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}

	t.Run("who dials refuses a stranger", func(t *testing.T) {
		near, far := net.Pipe()
		defer func() { _, _ = near.Close(), far.Close() }()
		go func() {
			_ = tls.Server(far, &tls.Config{Certificates: []tls.Certificate{foreign}}).HandshakeContext(t.Context())
		}()
		var unknown *tls.CertificateVerificationError
		if err := tls.Client(near, cluster.TLS(n)).HandshakeContext(t.Context()); !errors.As(err, &unknown) {
			t.Errorf("%v, want the stranger's certificate refused", err)
		}
	})

	conn := dial(t, n, own)
	t.Run("diagnostic calls, which would end the process, are rejected", func(t *testing.T) {
		client := remote.NewRemotingClient(conn)
		if _, err := client.ListProcesses(t.Context(), &remote.ListProcessesRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("ListProcesses: %v", err)
		}
		if _, err := client.GetProcessDiagnostics(t.Context(), &remote.GetProcessDiagnosticsRequest{}); status.Code(err) != codes.PermissionDenied {
			t.Errorf("GetProcessDiagnostics: %v", err)
		}
	})
	t.Run("so are streams that nobody knows", func(t *testing.T) {
		stream, err := conn.NewStream(t.Context(), &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/remote.Remoting/Other")
		if err == nil {
			err = stream.RecvMsg(&remote.RemoteMessage{})
		}
		if code := status.Code(err); code != codes.PermissionDenied && code != codes.Unimplemented {
			t.Errorf("%v", err)
		}
	})
	t.Run("nodes exchange messages", func(t *testing.T) {
		answer, err := connect(t, conn)
		if err != nil {
			t.Fatal(err)
		}
		if id := answer.GetConnectResponse().GetMemberId(); id != n.System().ID {
			t.Errorf("connected to %q, want %q", id, n.System().ID)
		}
	})
	ask(t, n, "1", whoAreYou{}) // the node has survived all that
}

func dial(t *testing.T, n *cluster.Node, creds credentials.TransportCredentials) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient("passthrough:///"+n.System().Address(), grpc.WithTransportCredentials(creds))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	})
	return conn
}

// connect introduces a member and returns what the node says to that.
func connect(t *testing.T, conn *grpc.ClientConn) (*remote.RemoteMessage, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	stream, err := remote.NewRemotingClient(conn).Receive(ctx)
	if err != nil {
		return nil, err
	}
	hello := &remote.RemoteMessage{MessageType: &remote.RemoteMessage_ConnectRequest{ConnectRequest: &remote.ConnectRequest{
		ConnectionType: &remote.ConnectRequest_ServerConnection{ServerConnection: &remote.ServerConnection{SystemId: "m", Address: "127.0.0.1:1"}},
	}}}
	if err := stream.Send(hello); err != nil {
		// What went wrong is what Recv says.
		t.Logf("send: %v", err)
	}
	return stream.Recv()
}

// selfSigned makes a certificate that bears all the names of a node's.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), DNSNames: []string{"kith-node"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
