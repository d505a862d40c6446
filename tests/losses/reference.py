"""The losses with plain loops over Python floats' tensors, as slow and as clear as can be."""

import torch


def cosine(a, b):
    return (a / a.norm()) @ (b / b.norm())


def iou(a, b):
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = a.tolist(), b.tolist()
    width, height = min(ax2, bx2) - max(ax1, bx1), min(ay2, by2) - max(ay1, by1)
    shared = max(width, 0) * max(height, 0)
    return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared)


def row_loss(logits, share, sigmoid):
    if sigmoid:
        terms = [
            t * (1 + (-z).exp()).log() + (1 - t) * (1 + z.exp()).log()
            for z, t in zip(logits, share, strict=True)
        ]
        return sum(terms)
    total = sum(z.exp() for z in logits).log()
    return sum(t * (total - z) for z, t in zip(logits, share, strict=True)) / sum(share)


def contrast(rows, columns, share, log_scale, bias=None):
    """Mean over both directions of the mean over rows; share[i][j] is how far column j is right for row i."""
    count = len(rows)
    scale = min(log_scale.exp(), torch.tensor(100.0, dtype=log_scale.dtype))
    logit = [
        [scale * cosine(rows[i], columns[j]) + (0 if bias is None else bias) for j in range(count)]
        for i in range(count)
    ]
    sigmoid = bias is not None
    forth = [row_loss(logit[i], share[i], sigmoid) for i in range(count)]
    back = [row_loss([row[j] for row in logit], [row[j] for row in share], sigmoid) for j in range(count)]
    return (sum(forth) + sum(back)) / (2 * count)


def pair_shares(links, phrase_id, image_index, boxes, same_box, same_image, overlap):
    def share(one, other):
        (r, p), (s, q) = one, other
        if phrase_id[p] == phrase_id[q]:
            return 1.0
        if r == s:
            return same_box
        if image_index[r] == image_index[s]:
            if overlap is not None and iou(boxes[r], boxes[s]) >= overlap:
                return 1.0
            return same_image
        return 0.0

    pairs = links.tolist()
    return [[share(one, other) for other in pairs] for one in pairs]


def lexeme_region(regions, lexemes, links, phrase_id, image_index, boxes, positives, log_scale, bias=None):
    shares = pair_shares(links, phrase_id, image_index, boxes, *positives)
    rows = [regions[r] for r, _ in links.tolist()]
    columns = [lexemes[p] for _, p in links.tolist()]
    return contrast(rows, columns, shares, log_scale, bias)


def global_region(regions, image_index, target, log_scale, bias=None):
    means, targets = [], []
    for image in range(len(target)):
        own = [r / r.norm() for r, i in zip(regions, image_index.tolist(), strict=True) if i == image]
        if own:
            means.append(sum(own) / len(own))
            targets.append(target[image])
    share = [[float(i == j) for j in range(len(means))] for i in range(len(means))]
    return contrast(means, targets, share, log_scale, bias)
