package functions

import "context"

// OutputKeys returns the keys of an output's blobs in the bucket, in order.
func (c *Client) OutputKeys(ctx context.Context, id, name string) ([]string, error) {
	f, err := c.FindOutput(ctx, id, name)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(f.parts))
	for i, p := range f.parts {
		keys[i] = p.Key
	}
	return keys, nil
}
