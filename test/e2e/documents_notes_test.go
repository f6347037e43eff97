package e2e_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"image"
	"image/jpeg"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kith/test/kithtest"
)

// list reads all users of a seed, so many a page.
func (j *john) list(query string, limit int) []string {
	j.t.Helper()
	var all []string
	for offset := 0; ; offset += limit {
		answer := want(j.t, http.StatusOK)(j.john.Get(j.t.Context(), fmt.Sprintf("/users/list?limit=%d&offset=%d&%s", limit, offset, query)))
		if answer.Count != len(answer.Users) || answer.Count > limit {
			j.t.Errorf("count of %d users is %d, limit %d", len(answer.Users), answer.Count, limit)
		}
		if answer.Count == 0 {
			return all
		}
		all = append(all, usernames(answer.Users)...)
	}
}

// notes are the checks of the notes, by how each begins.
func (j *john) notes() map[string]func() {
	t := j.t
	update := func(body any) *kithtest.User {
		t.Helper()
		return want(t, http.StatusOK)(j.john.Update(t.Context(), body)).User
	}
	// found returns what a search for John finds of him.
	found := func() *kithtest.User {
		t.Helper()
		for _, u := range want(t, http.StatusOK)(j.jane.Get(t.Context(), "/users/search?q=johndoe")).Users {
			if u.Username == "johndoe" {
				return &u
			}
		}
		return nil
	}
	upload := func() (gateway *url.URL, path string) {
		t.Helper()
		answer := want(t, http.StatusOK)(j.john.Do(t.Context(), kithtest.Request{Method: http.MethodPost, Path: "/users/profile-photo/upload"}))
		gateway, err := url.Parse(field(t, answer.Body, "gateway_url"))
		if err != nil {
			t.Fatal(err)
		}
		return gateway, field(t, answer.Body, "path")
	}
	// archived returns a column of John's row among the deleted.
	archived := func(column string) string {
		t.Helper()
		return j.Ask("SELECT " + column + " FROM deleted_users WHERE username = 'johndoe'")
	}
	// sixteen makes a list that is worth shuffling.
	sixteen := func() {
		for i := len(j.list("", 100)); i < 16; i++ {
			j.register(fmt.Sprintf("shuffled_%d", i), "Shuffled")
		}
	}
	const picture = "https://example.com/newpic.jpg"
	return map[string]func(){
		"The user is identified from the JWT token (same as `GetSelf` endpoint)": func() {
			update(map[string]string{"name": "John Smith"})
			if u := j.user(j.jane, "janedoe"); u.Name != "Jane Doe" {
				t.Errorf("somebody else changed: %+v", u)
			}
		},
		"**Username cannot be updated**": func() {
			if u := update(map[string]string{"username": "somebody", "name": "Johnny"}); u.Username != "johndoe" || u.Name != "Johnny" {
				t.Errorf("updated user is %+v", u)
			}
		},
		"`name`, `profile_picture`, and `role` can be updated": func() {
			body := part(t, j.text, "Username cannot be updated through this endpoint.\n\n```json\n", "```")
			if u := update(body); u.Name != "New Name" || u.Picture != picture || u.Role != "creator" {
				t.Errorf("updated user is %+v", u)
			}
		},
		"Role can only be set to `\"user\"` or `\"creator\"`": func() {
			for _, role := range []string{"creator", "user"} {
				if u := update(map[string]string{"role": role}); u.Role != role {
					t.Errorf("role is %q, not %q", u.Role, role)
				}
			}
			j.expect(http.StatusBadRequest, "")(j.john.Update(t.Context(), map[string]string{"role": "admin"}))
		},
		"If no fields are provided in the request body": func() {
			before := j.user(j.john, "johndoe")
			if u := update(map[string]string{}); *u != *before {
				t.Errorf("updated user is %+v, was %+v", u, before)
			}
		},
		"The `updated_at` timestamp is automatically updated": func() {
			before := j.user(j.john, "johndoe")
			if u := update(map[string]string{"name": "John Again"}); u.UpdatedAt <= before.UpdatedAt {
				t.Errorf("updated user is %+v, was %+v", u, before)
			}
		},
		"**Elasticsearch Integration**: If `profile_picture` is updated": func() {
			update(map[string]string{"profile_picture": picture + "?again"})
			if u := found(); u == nil || u.Picture != picture+"?again" {
				t.Errorf("search finds %+v", u)
			}
		},

		"Deletion is performed using a database transaction": func() {
			j.Settle()
			if n := j.Verify().Counts["deleted users"]; n != 2 {
				t.Errorf("%d users are deleted", n)
			}
		},
		"User data is moved to the `deleted_users` table": func() { archived("uid") },
		"The operation includes a `deleted_at` timestamp": func() {
			if at := archived("deleted_at"); at == "" || at == "0" {
				t.Errorf("deleted at %q", at)
			}
		},
		"**Elasticsearch Integration**: Automatically deletes": func() {
			if u := found(); u != nil {
				t.Errorf("search finds %+v", u)
			}
		},
		"Foreign key CASCADE automatically deletes related data": func() {
			eve := j.register("follows_zq", "Follows")
			want(t, http.StatusCreated)(eve.Follow(t.Context(), "janedoe"))
			want(t, http.StatusCreated)(j.jane.Follow(t.Context(), "follows_zq"))
			counters(t, j.jane, "janedoe", 1, 1)
			want(t, http.StatusOK)(eve.Delete(t.Context(), "follows_zq"))
			counters(t, j.jane, "janedoe", 0, 0)
		},

		"Username is automatically converted to lowercase and trimmed": func() {
			if answer := want(t, http.StatusOK)(j.Client().Get(t.Context(), "/users/availability/%20JohnDoe%20")); *answer.Available || answer.Username != "johndoe" {
				t.Errorf("availability: %s", answer)
			}
		},
		"Username format is validated before checking availability": func() {
			j.expect(http.StatusBadRequest, "")(j.Client().Get(t.Context(), "/users/availability/john-doe"))
		},
		"⚠️ **TODO**: Rate limiting middleware": func() {
			if answer := want(t, http.StatusOK)(j.Client().Get(t.Context(), "/users/availability/johndoe")); answer.Header.Get("X-RateLimit-Limit") == "" {
				t.Errorf("no limit: %v", answer.Header)
			}
		},

		"Results use **deterministic random pagination**": func() {
			sixteen()
			if a, b := j.list("seed=a", 100), j.list("seed=a", 100); !slices.Equal(a, b) || slices.IsSorted(a) {
				t.Errorf("twice the same list: %v and %v", a, b)
			}
		},
		"The `seed` parameter controls the shuffle order": func() {
			if a, b := j.list("seed=a", 100), j.list("seed=b", 100); slices.Equal(a, b) || len(a) != len(b) {
				t.Errorf("lists of two seeds: %v and %v", a, b)
			}
		},
		"If no seed is provided, a default seed is used": func() {
			if a, b := j.list("", 100), j.list("seed=hifi_users_shuffle_2024", 100); !slices.Equal(a, b) {
				t.Errorf("list without and with the default seed: %v and %v", a, b)
			}
		},
		"This ensures safe pagination": func() {
			all := j.list("seed=a", 3)
			slices.Sort(all)
			if n := len(slices.Compact(slices.Clone(all))); n != 16 || len(all) != 16 {
				t.Errorf("pages of 16 users have %d, %d of them different", len(all), n)
			}
		},
		"The shuffle order is stable": func() {
			if a, b := j.list("seed=a", 100), j.list("seed=a", 5); !slices.Equal(a, b) {
				t.Errorf("one page %v, several %v", a, b)
			}
		},
		"The response includes the `seed` value used": func() {
			for given, used := range map[string]string{"?seed=mine": "mine", "": "hifi_users_shuffle_2024"} {
				if answer := want(t, http.StatusOK)(j.john.Get(t.Context(), "/users/list"+given)); field(t, answer.Body, "seed") != used {
					t.Errorf("seed of %q: %s", given, answer)
				}
			}
		},
		"Invalid `limit` or `offset` values are ignored and defaults are used": func() {
			for _, query := range []string{"", "limit=0", "limit=101", "limit=-1", "limit=x", "limit=1.5", "offset=-1", "offset=x", "limit=&offset="} {
				answer := want(t, http.StatusOK)(j.john.Get(t.Context(), "/users/list?"+query))
				if limit, offset := field(t, answer.Body, "limit"), field(t, answer.Body, "offset"); limit != "20" || offset != "0" {
					t.Errorf("%s: limit %s, offset %s", query, limit, offset)
				}
			}
			if answer := want(t, http.StatusOK)(j.john.Get(t.Context(), "/users/list?limit=100&offset=15")); answer.Count != 1 || field(t, answer.Body, "limit") != "100" {
				t.Errorf("the last of 16: %s", answer)
			}
		},
		"The `count` field represents the number of users": func() {
			if answer := want(t, http.StatusOK)(j.john.Get(t.Context(), "/users/list?limit=7&offset=14")); answer.Count != 2 || len(answer.Users) != 2 {
				t.Errorf("the last two of 16: %s", answer)
			}
		},

		"The presigned URL expires after **20 minutes**": func() {
			gateway, _ := upload()
			expires, err := strconv.ParseInt(gateway.Query().Get("expires"), 10, 64)
			if ttl := time.Until(time.Unix(expires, 0)); err != nil || ttl < 19*time.Minute || ttl > 21*time.Minute {
				t.Errorf("the URL expires in %s: %v", ttl, err)
			}
		},
		"The photo will be stored at path `ProfileProto/users/{uid}.jpg`": func() {
			if _, path := upload(); path != "ProfileProto/users/"+j.user(j.john, "johndoe").UID+".jpg" {
				t.Errorf("path is %s", path)
			}
		},
		"The user is automatically identified from the JWT token": func() {
			answer := want(t, http.StatusOK)(j.jane.Do(t.Context(), kithtest.Request{Method: http.MethodPost, Path: "/users/profile-photo/upload"}))
			if path := field(t, answer.Body, "path"); path != "ProfileProto/users/"+j.user(j.jane, "janedoe").UID+".jpg" {
				t.Errorf("path is %s", path)
			}
		},
		"After uploading the photo to storage, you must update": func() {
			before := j.user(j.john, "johndoe").Picture
			gateway, path := upload()
			j.put(gateway)
			if u := j.user(j.john, "johndoe"); u.Picture != before {
				t.Errorf("the upload changed the user: %+v", u)
			}
			if u := update(map[string]string{"profile_picture": path}); u.Picture != path {
				t.Errorf("updated user is %+v", u)
			}
		},
		"This endpoint only generates the upload URL": func() {
			before := j.user(j.john, "johndoe")
			upload()
			if u := j.user(j.john, "johndoe"); *u != *before {
				t.Errorf("the user is %+v, was %+v", u, before)
			}
		},
		"Each call generates a new presigned URL for the same path": func() {
			first, path := upload()
			second, again := upload()
			if path != again {
				t.Errorf("paths %s and %s", path, again)
			}
			j.put(first)
			j.put(second)
		},
	}
}

// put uploads a photo to a URL as it stands there.
func (j *john) put(to *url.URL) {
	j.t.Helper()
	want(j.t, http.StatusOK)(j.Client().Do(j.t.Context(), kithtest.Request{
		Method: http.MethodPut, Path: to.RequestURI(), Body: photo(j.t), Header: http.Header{"Content-Type": {"image/jpeg"}},
	}))
}

func photo(t *testing.T) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 2, 2)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// flow types the upload of the document, with what stands for something replaced.
func (j *john) flow(script string) {
	t := j.t
	t.Helper()
	commands := regexp.MustCompile(`(?m)^# \d\..*$`).Split(script, -1)
	if len(commands) != 4 {
		t.Fatalf("the flow has %d commands", len(commands)-1)
	}
	sh := j.Shell()
	sh.Run("echo " + base64.StdEncoding.EncodeToString(photo(t)) + " | base64 -d > profile-photo.jpg")
	replace := strings.NewReplacer("https://api.example.com", "localhost:8080", "<jwt_token>", j.john.Token())
	sh.Run(replace.Replace(commands[1]))
	first := sh.Exchanges[0].Answer.Body
	replace = strings.NewReplacer(
		"https://api.example.com", "localhost:8080", "<jwt_token>", j.john.Token(),
		"https://storage.example.com/presigned-url-here", field(t, first, "gateway_url"),
		"ProfileProto/users/user123.jpg", field(t, first, "path"),
	)
	sh.Run(replace.Replace(commands[2]))
	sh.Run(replace.Replace(commands[3]))
	if !slices.Equal(sh.Statuses(), []int{200, 200, 200}) {
		t.Errorf("the flow was answered with %v", sh.Statuses())
	}
	seen := want(t, http.StatusOK)(j.Client().Get(t.Context(), "/media/"+j.user(j.jane, "johndoe").Picture))
	if !bytes.Equal(seen.Body, photo(t)) || seen.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("the photo is %d bytes of %s", len(seen.Body), seen.Header.Get("Content-Type"))
	}
}
