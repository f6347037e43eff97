package server

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"path/filepath"
	"strconv"
	"time"
)

// kafkaSecurity is what the second listener of a Kafka wants.
type kafkaSecurity struct {
	user, password string
	certificate    []byte // PEM; of itself
}

// security makes a user, and a certificate for 127.0.0.1 whose key it writes to a
// file of the server.
func (k *Kafka) security() (*kafkaSecurity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("server: make a key: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Kafka of the tests"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("server: make a certificate: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("server: encode a key: %w", err)
	}
	s := &kafkaSecurity{user: "kith", password: rand.Text(), certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}
	both := append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), s.certificate...)
	return s, k.yard.write(k.keyPath(), string(both))
}

func (s *kafkaSecurity) properties(keyPath string) map[string]string {
	const listener = "listener.name.secure."
	login := fmt.Sprintf("org.apache.kafka.common.security.scram.ScramLoginModule required username=%q password=%q;", s.user, s.password)
	return map[string]string{
		"sasl.enabled.mechanisms":                   "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		listener + "ssl.keystore.type":              "PEM",
		listener + "ssl.keystore.location":          keyPath,
		listener + "scram-sha-256.sasl.jaas.config": login,
		listener + "scram-sha-512.sasl.jaas.config": login,
		listener + "plain.sasl.jaas.config": fmt.Sprintf(
			"org.apache.kafka.common.security.plain.PlainLoginModule required user_%s=%q;", s.user, s.password),
	}
}

func (k *Kafka) keyPath() string { return filepath.Join(k.dir, "key.pem") }

// SecureAddr returns where the listener is that wants TLS and a password.
func (k *Kafka) SecureAddr() string {
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(k.ports.secure))
}

// Authority returns the certificate that vouches for it there, as PEM.
func (k *Kafka) Authority() []byte { return k.secure.certificate }

// Login returns whom it lets in there, by PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512.
func (k *Kafka) Login() (user, password string) { return k.secure.user, k.secure.password }
