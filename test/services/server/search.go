package server

import (
	"context"
	"crypto/rand"
	_ "embed" // what starts it
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SearchConfig says how a search engine is to be. The zero value is an OpenSearch.
type SearchConfig struct {
	Engine   Kind              // KindSearch or KindElastic
	Settings map[string]string // of opensearch.yml or elasticsearch.yml
	// Java are the options of Java; nil: little memory and a fast start.
	Java []string
}

// Search is an OpenSearch or Elasticsearch of one node, through all its restarts.
// What it acknowledged survives a SIGKILL. It wants no password.
type Search struct {
	daemon

	yard     *Yard
	java     java
	engine   searchEngine
	settings map[string]string
	cluster  string // the name, by which it is known from others
	port     int
}

// searchEngine is what the engines differ in.
type searchEngine struct {
	runner string // class
	config string // file
}

// engineOf returns the engine of a kind.
func engineOf(k Kind) (searchEngine, error) {
	switch k {
	case KindSearch:
		return searchEngine{"org.codelibs.opensearch.runner.OpenSearchRunner", "opensearch.yml"}, nil
	case KindElastic:
		return searchEngine{"org.codelibs.elasticsearch.runner.ElasticsearchClusterRunner", "elasticsearch.yml"}, nil
	}
	return searchEngine{}, fmt.Errorf("server: %s is no search engine", k)
}

const (
	// searchStartTime bounds the start of a search engine, which needs 5 s of a
	// processor, on a machine that starts several and does much else.
	searchStartTime = 3 * time.Minute
	// searchTime bounds one request to one.
	searchTime = 30 * time.Second
)

//go:embed search.bsh
var searchScript string

// searchLogging is the log4j2.properties: what is wrong, into the log.
const searchLogging = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = [%d{ISO8601}][%-5p][%c{1.}] %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
`

// Search makes a search engine and starts it.
func (y *Yard) Search(ctx context.Context, c SearchConfig) (*Search, error) {
	if c.Engine == "" {
		c.Engine = KindSearch
	}
	engine, err := engineOf(c.Engine)
	if err != nil {
		return nil, err
	}
	dir, err := y.subdirectory(c.Engine.folder())
	if err != nil {
		return nil, err
	}
	s := &Search{
		yard: y, daemon: daemon{name: string(c.Engine), dir: dir}, engine: engine, settings: c.Settings,
		cluster: "kith-" + strings.ToLower(rand.Text()),
	}
	if s.java, err = y.java(ctx, c.Engine, dir, c.Java); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	if err = y.mkdir(s.configDir()); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	for try := 1; ; try++ {
		if err = s.configure(ctx); err == nil {
			err = s.Start(ctx)
		}
		switch {
		case err == nil:
			return s, nil
		case !portTaken(s.logPath()) || try == startTries:
			return nil, errors.Join(err, s.Remove())
		}
	}
}

// configure chooses ports and writes the configuration.
func (s *Search) configure(ctx context.Context) (err error) {
	if s.port, err = freePort(ctx); err != nil {
		return err
	}
	inner, err := freePort(ctx)
	if err != nil {
		return err
	}
	yml, err := s.yml(inner)
	if err != nil {
		return err
	}
	return errors.Join(
		s.yard.write(filepath.Join(s.configDir(), s.engine.config), yml),
		s.yard.write(filepath.Join(s.configDir(), "log4j2.properties"), searchLogging),
		s.yard.write(s.scriptPath(), searchScript),
	)
}

// yml returns the configuration; port is the one for other nodes, of which there are
// none. JSON is YAML.
func (s *Search) yml(port int) (string, error) {
	all := map[string]string{
		"network.host":         "127.0.0.1",
		"transport.port":       strconv.Itoa(port),
		"discovery.type":       "single-node",
		"discovery.seed_hosts": "",
		// Of a disk that is nearly full the rest will do.
		"cluster.routing.allocation.disk.threshold_enabled": "false",
	}
	maps.Copy(all, s.settings)
	content, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		return "", fmt.Errorf("server: encode settings: %w", err)
	}
	return string(content) + "\n", nil
}

// Start starts the server again, on its port, and waits until it has all its data.
func (s *Search) Start(ctx context.Context) error {
	process, err := s.yard.begin(s.java.command(&s.daemon, "bsh.Interpreter", s.scriptPath(), s.engine.runner,
		"-basePath", s.dir, "-confPath", s.configDir(), "-clusterName", s.cluster, "-numOfNode", "1", "-baseHttpPort", strconv.Itoa(s.port-1)))
	if err != nil {
		return err
	}
	s.runs(process)
	last := errors.New("it was not asked")
	if !poll(searchStartTime, func() bool {
		last = s.ready(ctx)
		return last == nil || process.hasEnded() || ctx.Err() != nil
	}) || last != nil {
		err := fmt.Errorf("server: %s does not answer: %w; %s\n%s", s.name, last, process.how(), logEnd(s.logPath()))
		return errors.Join(err, s.Kill())
	}
	return nil
}

// ready returns nil when the server answers, and has a copy of all its data: the
// state is yellow, or green.
func (s *Search) ready(ctx context.Context) error {
	answer, err := AskSearch(ctx, http.MethodGet, s.URL(), "/_cluster/health")
	if err != nil {
		return err
	}
	var health struct {
		Cluster string `json:"cluster_name"`
		Status  string `json:"status"`
	}
	if err := json.Unmarshal(answer, &health); err != nil {
		return fmt.Errorf("decode the health: %w", err)
	}
	if health.Cluster != s.cluster {
		return fmt.Errorf("another server answers: %s", health.Cluster)
	}
	if !slices.Contains([]string{"yellow", "green"}, health.Status) {
		return fmt.Errorf("the state is %s", health.Status)
	}
	return nil
}

// URL returns its URL. It stays the same.
func (s *Search) URL() string {
	return "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port))
}

func (s *Search) configDir() string  { return filepath.Join(s.dir, "config") }
func (s *Search) scriptPath() string { return filepath.Join(s.dir, "search.bsh") }

// AskSearch sends a search engine a request without a body, of a path with its
// query, and returns what it answers; an error when the status is not 200. No
// connection is kept.
func AskSearch(ctx context.Context, method, at, path string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(at, "/")+path, http.NoBody)
	if err != nil {
		return nil, errors.New("server: the URL of a search engine cannot be read") // it may hold a password
	}
	request.Close = true
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("server: ask a search engine: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // it was only read
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("server: read the answer of a search engine: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("server: %s %s: status %d: %s", method, path, response.StatusCode, answer)
	}
	return answer, nil
}
