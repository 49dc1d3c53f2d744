from segment.search.slots import slots


def test_a_single_trial_is_left_alone():
    assert slots(1, 8, ["0", "1"], {}) == [{}]


def test_several_share_cores_and_gpus():
    assert slots(3, 8, ["4", "6"], {}) == [
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "4"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "6"},
        {"OMP_NUM_THREADS": "2", "CUDA_VISIBLE_DEVICES": "4"},
    ]
    assert slots(2, 1, ["0"], {}) == [{"OMP_NUM_THREADS": "1"}] * 2


def test_the_user_s_number_of_threads_stands():
    assert slots(2, 8, [], {"OMP_NUM_THREADS": "3"}) == [{}, {}]
