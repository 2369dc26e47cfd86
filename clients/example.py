"""What a shop's server does with the Python client that `openapi-python-client` generates: tell a price, ask for a list, read an error.

openapi-python-client generate --url http://localhost:8000/openapi.json --meta none --output-path shop_client
python example.py http://localhost:8000 rk_...
"""

import sys

from shop_client import AuthenticatedClient
from shop_client.api.default import items, recommend, similar
from shop_client.models import ItemBody, ItemsBody, ItemsStored, Matched, Problem, RecommendBody, Recommended, RulesBody, SimilarBody


def main(url: str, key: str) -> None:
    """Print what was answered, a line each."""
    client = AuthenticatedClient(base_url=url, token=key, auth_header_name="X-API-Key", prefix="")
    stored = items.sync(client=client, body=ItemsBody(items=[ItemBody(item="sku-07", price=2.95)]))
    assert isinstance(stored, ItemsStored), stored
    answer = recommend.sync(client=client, body=RecommendBody(user="user-03", k=5, rules=RulesBody(in_stock=True)))
    assert isinstance(answer, Recommended), answer
    for item in answer.items:
        print(item.rank, item.item_id, item.probability, item.reason)
    near = similar.sync(client=client, body=SimilarBody(item="sku-07", k=3))
    assert isinstance(near, Matched), near
    unknown = similar.sync(client=client, body=SimilarBody(item="no-such-item"))
    assert isinstance(unknown, Problem), unknown
    print(unknown.status, unknown.detail)


if __name__ == "__main__":
    main(*sys.argv[1:])
