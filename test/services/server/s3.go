package server

import (
	"context"
	"crypto/md5" //nolint:gosec // as S3 wants it
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
)

// S3Package is the Go package of the S3 server, and S3Modfile where its version is
// pinned. The program is looked for in bin of this repository, too.
const (
	S3Package = "github.com/versity/versitygw/cmd/versitygw"
	S3Modfile = "tools/s3/go.mod"
	s3Name    = "versitygw"
)

// S3 is an S3 server (versitygw on a directory), through all its restarts. It checks
// signatures, and keeps what it has.
type S3 struct {
	daemon

	yard           *Yard
	binary         string
	port           int
	access, secret string
	// Who may do nothing of their own accord.
	guest, guestSecret string
}

// S3 makes an S3 server and starts it.
func (y *Yard) S3(ctx context.Context) (*S3, error) {
	binary, err := Find(KindS3)
	if err != nil {
		return nil, err
	}
	dir, err := y.subdirectory("s3")
	if err != nil {
		return nil, err
	}
	s := &S3{yard: y, binary: binary, daemon: daemon{name: "S3", dir: dir}, access: rand.Text(), secret: rand.Text(), guest: rand.Text(), guestSecret: rand.Text()}
	if err := s.prepare(); err != nil {
		return nil, err
	}
	if s.binary, err = y.passOn(binary, dir); err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		if s.port, err = freePort(ctx); err != nil {
			return nil, errors.Join(err, s.Remove())
		}
		switch err = s.Start(ctx); {
		case err == nil:
			return s, nil
		case !strings.Contains(logEnd(s.logPath()), "address already in use") || try == startTries:
			return nil, errors.Join(err, s.Remove())
		}
	}
}

// prepare makes what the server reads at its start: the directory of its buckets and
// that of its users.
func (s *S3) prepare() error {
	for _, name := range []string{"data", "users"} {
		if err := s.yard.mkdir(filepath.Join(s.dir, name)); err != nil {
			return err
		}
	}
	users := fmt.Sprintf(`{"accessAccounts":{%q:{"access":%q,"secret":%q,"role":"user"}}}`, s.guest, s.guest, s.guestSecret)
	return s.yard.write(filepath.Join(s.dir, "users", "users.json"), users)
}

// passOn returns the path under which the account of the servers can run a program:
// its own, or, where that is in a folder of ours alone, that of a copy in dir.
func (y *Yard) passOn(program, dir string) (string, error) {
	if y.account == nil || passable(filepath.Dir(program)) {
		return program, nil
	}
	from, err := os.Open(program) //nolint:gosec // that was found
	if err != nil {
		return "", fmt.Errorf("server: copy a program: %w", err)
	}
	defer from.Close() //nolint:errcheck // it was only read
	path := filepath.Join(dir, filepath.Base(program))
	to, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o755) //nolint:gosec // it is a program
	if err != nil {
		return "", fmt.Errorf("server: copy a program: %w", err)
	}
	_, err = io.Copy(to, from)
	if err := errors.Join(err, to.Close()); err != nil {
		return "", fmt.Errorf("server: copy a program: %w", err)
	}
	return path, y.give(path)
}

// Start starts the server again, on its port, and waits until it answers.
func (s *S3) Start(ctx context.Context) error {
	// Keys are not for everybody's list of processes.
	process, err := s.yard.begin(command{
		path: s.binary, args: []string{"--port", s.host(), "--iam-dir", filepath.Join(s.dir, "users"), "posix", filepath.Join(s.dir, "data")}, dir: s.dir, log: s.logPath(),
		env: []string{"ROOT_ACCESS_KEY=" + s.access, "ROOT_SECRET_KEY=" + s.secret},
	})
	if err != nil {
		return err
	}
	s.runs(process)
	last := errors.New("it was not asked")
	if !poll(startTime, func() bool {
		last = dial(ctx, s.host())
		return last == nil || process.hasEnded() || ctx.Err() != nil
	}) || last != nil || process.hasEnded() {
		return errors.Join(fmt.Errorf("server: S3 does not answer: %w; %s\n%s", last, process.how(), logEnd(s.logPath())), s.Kill())
	}
	return nil
}

func (s *S3) host() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Endpoint returns its URL.
func (s *S3) Endpoint() string { return "http://" + s.host() }

// Keys returns the access key and the secret key of who may do everything.
func (s *S3) Keys() (access, secret string) { return s.access, s.secret }

// Guest returns the keys of who may do nothing but what the policy of a bucket says.
func (s *S3) Guest() (access, secret string) { return s.guest, s.guestSecret }

// Bucket makes a new, empty bucket and returns its name.
func (s *S3) Bucket(ctx context.Context) (string, error) {
	name := "kith-" + strings.ToLower(rand.Text())
	return name, s.Configure(ctx, "/"+name, "")
}

// Configure puts something that is no object, such as /bucket?policy.
func (s *S3) Configure(ctx context.Context, target, body string) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.Endpoint()+target, strings.NewReader(body))
	if err != nil {
		return fmt.Errorf("server: configure S3: %w", err)
	}
	sum := sha256.Sum256([]byte(body))
	hash := hex.EncodeToString(sum[:])
	r.Header.Set("X-Amz-Content-Sha256", hash)
	md := md5.Sum([]byte(body)) //nolint:gosec // as S3 wants it
	r.Header.Set("Content-Md5", base64.StdEncoding.EncodeToString(md[:]))
	keys := aws.Credentials{AccessKeyID: s.access, SecretAccessKey: s.secret}
	if err := v4.NewSigner().SignHTTP(ctx, keys, r, hash, "s3", "us-east-1", time.Now()); err != nil {
		return fmt.Errorf("server: configure S3: %w", err)
	}
	r.Close = true // no connection is left
	a, err := http.DefaultClient.Do(r)
	if err != nil {
		return fmt.Errorf("server: configure S3: %w", err)
	}
	said, err := io.ReadAll(io.LimitReader(a.Body, 4<<10))
	if err := errors.Join(err, a.Body.Close()); err != nil {
		return fmt.Errorf("server: configure S3: %w", err)
	}
	if a.StatusCode/100 != 2 {
		return fmt.Errorf("server: configure S3: PUT %s: %s: %s", target, a.Status, said)
	}
	return nil
}

// findS3 looks for the program beside the others, and in bin of this repository.
func findS3() (string, error) {
	root, err := Root()
	if err != nil {
		return "", &MissingError{KindS3}
	}
	path := filepath.Join(root, "bin", s3Name)
	if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
		return "", &MissingError{KindS3}
	}
	return path, nil
}

// Root returns the directory of the module in which this process runs, as tests do.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("server: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("server: this is not a directory of the repository")
		}
		dir = filepath.Dir(dir)
	}
}
