package command

import (
	"unicode/utf8"

	ringdv1 "github.com/ringd/ringd/api/ringd/v1"
	"github.com/ringd/ringd/cmd/ringctl/internal/printing"
)

// keyJSON names a key in JSON; bytes that are no UTF-8 are in base64.
type keyJSON struct {
	BucketType string  `json:"bucket_type"`
	Bucket     *string `json:"bucket,omitempty"`
	BucketB64  []byte  `json:"bucket_b64,omitempty"`
	Key        *string `json:"key,omitempty"`
	KeyB64     []byte  `json:"key_b64,omitempty"`
}

func keyToJSON(k *ringdv1.Key) keyJSON {
	out := keyJSON{BucketType: k.GetBucketType()}
	out.Bucket, out.BucketB64 = textOrBytes(k.GetBucket())
	out.Key, out.KeyB64 = textOrBytes(k.GetKey())
	return out
}

func textOrBytes(b []byte) (*string, []byte) {
	if !utf8.Valid(b) {
		return nil, b
	}
	s := string(b)
	return &s, nil
}

// keyText is bucket type, bucket and key as a command line takes them.
func keyText(k *ringdv1.Key) string {
	return printing.Name(k.GetBucketType()) + " " + printing.Name(string(k.GetBucket())) + " " + printing.Name(string(k.GetKey()))
}
